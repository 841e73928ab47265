"""The programs that draw the pictures of the documents."""
