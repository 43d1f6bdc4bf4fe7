"""From `SolarImage` to 8-bit codes: the channels, and the only code that makes cutouts."""
