"""Sessions: a login opens one, refreshes keep it alive, and many things end it."""
