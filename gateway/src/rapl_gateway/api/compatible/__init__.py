"""The routes of other speech-to-text servers, whose clients can use RAPL as well."""
