"""Commands that show what there is: engines, models, voices, tools, devices, settings, what is missing."""
