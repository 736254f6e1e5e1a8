"""What `rapl doctor` checks: a function for each link from the client to the engines, and the table of the results."""
