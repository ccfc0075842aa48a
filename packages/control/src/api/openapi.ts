import { z } from 'zod';
import { messages } from './vpp.ts';

const ERROR = { $ref: '#/components/responses/Error' };

function post(summary: string, body: object, reply: object): object {
  return {
    post: {
      summary,
      requestBody: { content: { 'application/json': { schema: body } } },
      responses: {
        200: { description: 'Done', content: { 'application/json': { schema: reply } } },
        400: ERROR,
        500: ERROR,
      },
    },
  };
}

function get(summary: string, type: string, errors: object = {}): object {
  const reply = { description: summary, content: { [type]: { schema: {} } } };
  return { get: { summary, responses: { 200: reply, ...errors } } };
}

/** The description of the control API (OpenAPI 3.1), made from the tables that serve it. */
export function openApi(version: string): object {
  const paths: Record<string, object> = {
    '/cli': post(
      'Run a command line',
      {
        type: 'object',
        properties: {
          command: { type: 'string' },
          answer: {
            enum: ['text', 'data'],
            description: 'The half that is wanted: the reply is the text (text/plain) or the data, and nothing else',
          },
        },
        required: ['command'],
        additionalProperties: false,
      },
      {
        type: 'object',
        properties: { text: { type: 'string', description: 'For people' }, data: { description: 'For programs' } },
        required: ['text', 'data'],
      },
    ),
  };
  for (const [name, { summary, body }] of Object.entries(messages)) {
    const { $schema: _, ...schema } = z.toJSONSchema(body, { io: 'input', target: 'draft-2020-12' });
    paths[`/api/${name}`] = post(summary, schema, {});
  }
  paths['/metrics'] = get(
    "The figures, in Prometheus' text format; not there with `metrics.enabled: false`",
    'text/plain',
    {
      404: ERROR,
      500: ERROR,
    },
  );
  paths['/openapi.json'] = get('This description', 'application/json');
  return {
    openapi: '3.1.0',
    info: { title: 'lbd control API', version, description: 'Served on a Unix socket.' },
    paths,
    components: {
      responses: {
        Error: {
          description: 'Nothing was changed. `code` is stable, `message` says what was wrong and what is allowed.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: { code: { type: 'string' }, message: { type: 'string' } },
                required: ['code', 'message'],
              },
            },
          },
        },
      },
    },
  };
}
