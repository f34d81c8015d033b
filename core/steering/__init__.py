"""Paper 06: steer what a model that sees and reads makes of a picture, with a handful of numbers, beside everything that costs more."""
