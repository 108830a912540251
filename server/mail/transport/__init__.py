"""The ways in which mails leave: over SMTP, or into a folder."""
