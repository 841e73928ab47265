"""How blocks run fast: layouts, layers, bands of rows, threads, memory. Nothing here changes what they compute."""
