"""The weights on disk: which files to download, the manifest, the check and the conversion."""
