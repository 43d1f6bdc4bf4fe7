"""From bytes to `SolarImage`: the only code that opens image files."""
