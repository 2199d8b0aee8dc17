"""The history of the record's schema, one file per step; run by `ruleforge.store.opening`."""
