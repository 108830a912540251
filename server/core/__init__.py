"""What all other parts use: clock, ids, errors, and who acts. It knows no feature and does no input or output."""
