"""The peers, each in a process of its own, and each optional: an absent one says why."""
