"""From `SolarImage` to 8-bit codes: the channels, and the one place where a cutout is made."""
