import type { KeyRule, KindDefinition } from '../kind.ts'
import { missingKind } from './define.ts'

// Kinds that files may name and that this version cannot run: the checker knows their keys, the start refuses them.

const KEY: KeyRule = { type: 'text', secret: true, required: true, summary: 'the key of the provider' }
const TEXT = (summary: string): KeyRule => ({ type: 'text', summary })
const NEEDED = (summary: string): KeyRule => ({ type: 'text', required: true, summary })

const CONTAINER = 'it works in a container, and swarmbus does not run containers'

/** Known, and refused with one sentence. */
export const KNOWN_KINDS: readonly KindDefinition[] = [
  missingKind({
    kind: 'input keyword_voice',
    role: 'input',
    summary: 'listens for a keyword, then takes down what is said',
    keys: { api_key: KEY, keyword: NEEDED('the word it waits for') },
    unavailable: 'swarmbus has no speech recognition: use `input command_line` or `input api`',
  }),
  missingKind({
    kind: 'input push_to_talk',
    role: 'input',
    summary: 'takes down what is said while a key is held',
    keys: { api_key: KEY, key: TEXT('the key to hold') },
    unavailable: 'swarmbus has no speech recognition: use `input command_line` or `input api`',
  }),
  missingKind({
    kind: 'output voice',
    role: 'output',
    summary: 'speaks',
    keys: { api_key: { ...KEY, required: false }, voice: TEXT('which voice') },
    unavailable: 'swarmbus has no speech output: use `output console` or `output websocket`',
  }),
  missingKind({
    kind: 'knowledge_base chroma',
    role: 'knowledge-base',
    summary: 'pieces of texts, found by meaning, in Chroma',
    keys: {
      api_key: KEY,
      file_to_embed: TEXT('the file or folder that is put in, in pieces of 1 000 characters with 200 overlap'),
      path: TEXT('where the database lies'),
      client: TEXT('`local`, or the address of a server'),
      host: TEXT('the server'),
      port: { type: 'whole', min: 1, max: 65_535, summary: 'its port' },
      collection: TEXT('which collection'),
    },
    unavailable: 'swarmbus has no client for Chroma: use `knowledge_base text_file`, which finds pieces by their words',
  }),
  missingKind({
    kind: 'knowledge_base neo4j',
    role: 'knowledge-base',
    summary: 'a graph in Neo4j, searched by meaning and by its edges',
    keys: {
      uri: NEEDED('the address of the database'),
      user: NEEDED('the user'),
      password: { ...NEEDED('the password'), secret: true },
      api_key: { ...KEY, required: false },
    },
    unavailable: 'swarmbus has no client for Neo4j: use `knowledge_base text_file`, which finds pieces by their words',
  }),
  missingKind({
    kind: 'core command_line',
    role: 'tool',
    summary: 'runs commands in a container',
    keys: { container: TEXT('the name of the container'), image: TEXT('its image') },
    unavailable: `${CONTAINER}: use \`api functions\` with a function that runs what you allow, or \`mcp server\``,
  }),
  missingKind({
    kind: 'core code',
    role: 'tool',
    summary: 'a repository in a container, for reading and changing code',
    keys: {
      container: { type: 'reference', required: true, summary: 'the `core command_line` it works in' },
      repo_url: NEEDED('the repository'),
      knowledge_base: { type: 'reference', roles: ['knowledge-base'], summary: 'where the code is searched' },
    },
    unavailable: `${CONTAINER}: use \`mcp server\` with a server for repositories, or \`api functions\``,
  }),
  missingKind({
    kind: 'environment coding',
    role: 'environment',
    summary: 'a container with a repository, where an agent writes code',
    keys: {
      repo_url: TEXT('the repository'),
      local_path: TEXT('a folder of this machine in its place'),
      image_name: { type: 'text', default: 'coding-env', summary: 'the image' },
      container_name: { type: 'text', default: 'coding-env', summary: 'the container' },
      setup_scripts: { type: 'texts', summary: 'run while the image is made' },
      startup_scripts: { type: 'texts', summary: 'run when the container starts' },
      dockerfile: TEXT('how the image is made'),
      embedding_model: TEXT('what puts the code into the database'),
      environment_variables: { type: 'block', summary: 'variables in the container' },
      vector_db: { type: 'reference', roles: ['knowledge-base'], summary: 'where the code is searched' },
    },
    unavailable: `${CONTAINER}: use \`mcp server\` or \`api functions\` as tools of the agent`,
  }),
]
