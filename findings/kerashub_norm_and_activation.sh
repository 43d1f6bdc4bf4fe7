#!/usr/bin/env bash
# keras-hub 0.32.0 on a ViT checkpoint of transformers 5.23.0 (the installation brings TensorFlow and takes its time)
#
# Expected. from_preset of KerasHub reads a checkpoint of transformers and gives the same network
#   (https://huggingface.co/blog/keras-nlp-integration).
# Seen. ViTImageClassifier takes sizes and weights from it and leaves out two settings: every LayerNormalization has epsilon
#   1e-6 whatever layer_norm_eps says, and the activation is gelu whatever hidden_act says. from_preset(...,
#   layer_norm_epsilon=1e-3) is accepted and does nothing. No warning; the loaded network answers, differently.
# For solar data. Magnetograms look like no photograph, so ViTs for them are often trained from scratch, with a configuration of
#   one's own and transformers' default epsilon of 1e-12. Opened by KerasHub such a network answers a little, or with
#   hidden_act="relu" quite, differently, and scores or thresholds measured in one library are not those of the other.
# Instead. Set layer.epsilon after loading (exact, below), compare logits on a few images, and use ONNX for
#   another activation.
#
# Output seen (8 random images, a random ViT of 2 layers, logits up to 3.8):
#   layer_norm_eps 1e-06, gelu: largest difference of a logit 0.0000
#   layer_norm_eps 0.001, gelu: largest difference of a logit 0.0119
#   layer_norm_eps 0.001, gelu, epsilon told to from_preset: largest difference of a logit 0.0119
#   layer_norm_eps 0.001, gelu, epsilon set after loading: largest difference of a logit 0.0000
#   layer_norm_eps 1e-06, relu: largest difference of a logit 0.6108
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 torch==2.13.0 transformers==5.23.0 keras==3.15.1 keras-hub==0.32.0
cd "$work"
export HF_HOME="$work/hf" HF_HUB_OFFLINE=1 KERAS_BACKEND=torch KERAS_HOME="$work/keras" TF_CPP_MIN_LOG_LEVEL=3
"$work/venv/bin/python" - <<'PYTHON'
import warnings

import keras
import keras_hub
import numpy as np
import torch
import transformers

transformers.utils.logging.disable_progress_bar()
print("keras-hub", keras_hub.__version__, "keras", keras.__version__, "transformers", transformers.__version__)
SIZE = 32
pixels = np.random.default_rng(0).normal(size=(8, 3, SIZE, SIZE)).astype("f4")


def difference(eps, activation, how=""):
    """The largest difference of a logit between the two libraries."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=8,
        num_labels=5, layer_norm_eps=eps, hidden_act=activation, initializer_range=0.3,
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained("model")
    told = {"layer_norm_epsilon": eps} if how == "epsilon told to from_preset" else {}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        loaded = keras_hub.models.ViTImageClassifier.from_preset("model", preprocessor=None, **told)
    assert not any(word in str(each.message) for each in seen for word in ("eps", "act"))
    norms = [layer for layer in loaded._flatten_layers() if isinstance(layer, keras.layers.LayerNormalization)]
    assert {norm.epsilon for norm in norms} == {1e-6}
    if how == "epsilon set after loading":
        for norm in norms:
            norm.epsilon = eps
    with torch.inference_mode():
        right = model(torch.from_numpy(pixels)).logits.numpy()
        other = keras.ops.convert_to_numpy(loaded(pixels.transpose(0, 2, 3, 1), training=False))
    largest = float(np.abs(other - right).max())
    settings = ", ".join(filter(None, (f"layer_norm_eps {eps:g}", activation, how)))
    print(f"{settings}: largest difference of a logit {largest:.4f}")
    return largest


assert difference(1e-6, "gelu") < 1e-4
ignored = difference(1e-3, "gelu")
assert ignored > 1e-3 and difference(1e-3, "gelu", "epsilon told to from_preset") == ignored
assert difference(1e-3, "gelu", "epsilon set after loading") < 1e-4
assert difference(1e-6, "relu") > 0.1
PYTHON
