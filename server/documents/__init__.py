"""What the server says of itself: its role table, its API, its pages for people."""
