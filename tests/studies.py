"""The small study that many tests run on, and where the project lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: A network that trains in a second.
NETWORK = """[backbone.config]
model_type = "vit"
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
patch_size = 16
"""
STUDY = f"""
format = 2
[study]
name = "small"
simulated = true
[source]
root = "data"
workbook = "SDO_Simulated_Active_Regions.xlsx"
images = "images"
[source.columns]
image = "Image"
observed = "Observed (UTC)"
noaa_ar = "NOAA AR"
label = "Mount Wilson"
latitude_deg = "Latitude (deg)"
longitude_deg = "Longitude (deg)"
[images]
channel = "hmi-magnetogram"
size_px = 96
max_longitude_deg = 60.0
[labels]
scheme = "mount-wilson-3"
[split]
gap_days = 14.0
validation = 0.2
test = 0.25
{NETWORK}[training]
num_train_epochs = 2
per_device_train_batch_size = 16
learning_rate = 1e-3
[evaluation]
bootstrap_samples = 200
"""
