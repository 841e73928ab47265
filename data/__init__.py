"""Pairs of images and their masks: found, read, cut into patches or cropped, and rendered as sample scenes."""
