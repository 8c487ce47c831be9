import type { Cluster } from './cluster.ts';

/** The suites' own kind: a structural schema with a default, bounds, a list with keys, columns, a status. */

export function lampGroup({ namespace }: Pick<Cluster, 'namespace'>): string {
  return `${namespace}.edgecore.test`;
}

/** @param name of another kind with the same schema, for a definition that comes and goes */
export function lampDefinition(group: string, name = 'lamp') {
  const kind = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${name}s.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        plural: `${name}s`,
        singular: name,
        kind,
        shortNames: [name.replace(/[aeiou]/g, '')],
        categories: [`every-${name}`],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Colour', type: 'string', jsonPath: '.spec.colour' },
            { name: 'Lit', type: 'boolean', jsonPath: '.status.lit' },
            { name: 'Level', type: 'integer', jsonPath: '.spec.level', priority: 1 },
          ],
          schema: { openAPIV3Schema: lampSchema() },
        },
      ],
    },
  };
}

function lampSchema() {
  const text = { type: 'string' };
  const wire = { type: 'object', required: ['name'], properties: { name: text, width: { type: 'number' } } };
  const condition = {
    type: 'object',
    required: ['type', 'status'],
    properties: { type: text, status: text },
  };
  return {
    type: 'object',
    description: 'A lamp of the suite.',
    required: ['spec'],
    properties: {
      spec: {
        type: 'object',
        description: 'What the lamp should be.',
        required: ['colour'],
        properties: {
          colour: { type: 'string', enum: ['red', 'green'], description: 'The colour that it has.' },
          level: { type: 'integer', minimum: 0, maximum: 100, default: 50 },
          tags: { type: 'array', items: text },
          wires: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name'],
            items: wire,
          },
        },
      },
      status: {
        type: 'object',
        properties: { lit: { type: 'boolean' }, conditions: { type: 'array', items: condition } },
      },
    },
  };
}

export function lamp(group: string, name: string, spec: unknown = { colour: 'red' }) {
  return { apiVersion: `${group}/v1`, kind: 'Lamp', metadata: { name }, spec };
}
