"""What the programs do beside the network: read inputs, fuse sets, score, tell failures, write tables and the page."""
