"""The doors: command line, Python, HTTP."""
