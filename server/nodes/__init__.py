"""The servers that share one database: which there are, and whether their settings and clocks fit together."""
