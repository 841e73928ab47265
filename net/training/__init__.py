"""How networks are trained: objectives, recipes, the losses of CMMDL and CMMDL-lite. The siblings have theirs."""
