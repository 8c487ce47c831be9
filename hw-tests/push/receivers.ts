import { createServer, type IncomingMessage, type Server } from 'node:http';
import protobuf from 'protobufjs';

/** An HTTP server that is told things, and can be away. */
export class Receiver {
  readonly port: number;
  private readonly take: (body: Buffer, request: IncomingMessage) => number;
  private server: Server | undefined;

  /** @param take reads a request; @returns the status to answer with */
  constructor(port: number, take: Receiver['take']) {
    this.port = port;
    this.take = take;
  }

  start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.statusCode = this.take(Buffer.concat(chunks), request);
        response.end();
      });
    });
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }
}

/** What came as forms: the property's value and the time. */
export type Form = {
  readonly path: string;
  readonly name: string;
  readonly value: string;
  readonly time: string;
};

export function formReceiver(port: number, forms: Form[]): Receiver {
  return new Receiver(port, (body, { url = '', headers }) => {
    if (headers['content-type'] !== 'application/x-www-form-urlencoded') return 415;
    const fields = new URLSearchParams(body.toString());
    const [name = '', value = ''] = [...fields][0] ?? [];
    forms.push({ path: url, name, value, time: fields.get('time') ?? '' });
    return 200;
  });
}

/** The part of OpenTelemetry's definitions that is used.
 * @source opentelemetry-proto v1, Apache-2.0 */
const { root } = protobuf.parse(
  `syntax = "proto3";
  message Request { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; } }
  message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; }
  message Scope { string name = 1; }
  message Metric { string name = 1; string description = 2; string unit = 3; oneof data { Gauge gauge = 5; } }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message NumberDataPoint {
    fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3;
    oneof value { double as_double = 4; sfixed64 as_int = 6; }
  }`,
  { keepCase: true },
);

export type Point = {
  readonly device: string;
  readonly name: string;
  readonly value: number;
  readonly at: number;
};

type Decoded = {
  resource_metrics: {
    resource: { attributes: { key: string; value: { string_value: string } }[] };
    scope_metrics: {
      metrics: { name: string; gauge: { data_points: { time_unix_nano: string; as_double: number }[] } }[];
    }[];
  }[];
};

/** An OTLP receiver that reads with protobufjs. */
export function otlpReceiver(port: number, points: Point[]): Receiver {
  const type = root.lookupType('Request');
  return new Receiver(port, (body, { url, headers }) => {
    if (url !== '/v1/metrics') return 404;
    if (headers['content-type'] !== 'application/x-protobuf') return 415;
    const { resource_metrics } = type.toObject(type.decode(body), {
      longs: String,
      defaults: false,
    }) as Decoded;
    for (const { resource, scope_metrics } of resource_metrics) {
      const device = resource.attributes.find(({ key }) => key === 'device.id')?.value.string_value ?? '';
      for (const { name, gauge } of scope_metrics.flatMap(({ metrics }) => metrics))
        for (const { time_unix_nano, as_double } of gauge.data_points)
          points.push({ device, name, value: as_double, at: Number(BigInt(time_unix_nano) / 1_000_000n) });
    }
    return 200;
  });
}
