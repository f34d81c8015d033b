"""Paper 02: where in a model a lean towards one group sits, and what happens when it is turned down (methods/02)."""
