"""The service over HTTP: jobs go in, rules come out."""
