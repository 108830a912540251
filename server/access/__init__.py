"""Who calls and what they may do: the principal, the rules of the routes, and why a call is allowed or not."""
