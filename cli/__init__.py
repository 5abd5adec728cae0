"""The operator's command line: a client of `/ops`, and a doctor that needs nothing to run."""
