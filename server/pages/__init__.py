"""Pages for people: how they are made and served. docs/pages.md says what there is."""
