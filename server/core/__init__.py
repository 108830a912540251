"""What everything else stands on: clock, ids, errors, who acts. No feature, no input and output."""
