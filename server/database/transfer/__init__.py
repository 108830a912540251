"""`store move`: everything in a store, copied into a store on the other database."""
