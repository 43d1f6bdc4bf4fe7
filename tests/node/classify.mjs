// What transformers.js answers: node classify.mjs FOLDER MODEL DTYPE PICTURE ... -> {"PICTURE": [{"label", "score"}]}.
import { env, pipeline } from "@huggingface/transformers";

const [folder, model, dtype, ...pictures] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = folder;
const classify = await pipeline("image-classification", model, { dtype, device: "cpu" });
const answers = {};
for (const picture of pictures) answers[picture] = await classify(picture, { top_k: null });
console.log(JSON.stringify(answers));
