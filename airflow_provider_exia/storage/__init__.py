"""Documents and blobs behind two small protocols."""
