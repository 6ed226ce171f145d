"""The pages of depots: their settings, their retirement."""
