// One call of OpenAI's client for Node, with its default settings but for address, key and, where asked, time.
// Arguments: the folder with the client, and the call as JSON. Prints what came of it as JSON.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [folder, call] = [process.argv[2], JSON.parse(process.argv[3])];
const { default: OpenAI, toFile } = await import(pathToFileURL(`${folder}/node_modules/openai/index.mjs`).href);
const client = new OpenAI({ baseURL: call.url, apiKey: call.key });
const options = call.timeout ? { timeout: call.timeout } : {};

const calls = {
  generate: () => client.images.generate(call.body, options),
  edit: async () => {
    const image = await toFile(await readFile(call.image), "image.png", { type: "image/png" });
    return client.images.edit({ ...call.body, image: call.twice ? [image, image] : image }, options);
  },
  stream: async () => {
    const events = [];
    for await (const event of await client.images.generate({ ...call.body, stream: true }, options)) {
      events.push({ type: event.type, b64_json: event.b64_json });
    }
    return { events };
  },
  models: async () => {
    const models = [];
    for await (const model of client.models.list()) {
      models.push(model.id);
    }
    return { models, one: await client.models.retrieve(models[0]) };
  },
};

try {
  console.log(JSON.stringify({ result: await calls[call.method]() }));
} catch (error) {
  const { status, code, type, param, message } = error;
  const body = error.error ?? null;
  console.log(JSON.stringify({ error: { name: error.constructor.name, status, code, type, param, message, body } }));
}
