"""One migration per file, in the order of their numbers. A published one is never edited."""
