"""The role table, the OpenAPI document and the /docs page."""
