"""How blocks run fast: layouts, bands of rows, threads, memory. Nothing here changes what they compute."""
