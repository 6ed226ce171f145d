"""Measurements: everything that is compared runs side by side in one run, so the ratios hold on any machine."""
