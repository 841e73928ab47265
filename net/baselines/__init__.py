"""The sibling methods, a module or a few for each, and the rules that need no learning."""
