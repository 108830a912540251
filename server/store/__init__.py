"""The queries of the features."""
