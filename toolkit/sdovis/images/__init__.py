"""From bytes to `SolarImage`: the only place where pixels are opened."""
