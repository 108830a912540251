"""Makes messages of templates: those that are shipped (server/mail/templates/), and those of the operator."""
