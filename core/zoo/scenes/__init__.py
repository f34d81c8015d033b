"""The recipe of the vision-language models that look at rendered scenes."""
