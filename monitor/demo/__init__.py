"""Things to try Driftloop with: a scanner of handwritten digits that goes wrong, and a cutter for recorded streams."""
