import {
  decode,
  double,
  encode,
  fixed64,
  int64,
  many,
  message,
  one,
  str,
} from '../../../runtime/wire/protobuf.ts';
import type { Channel, ChannelDeps, Notes } from '../channel.ts';
import type { Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { Poster } from './post.ts';

/** What of OTLP is said here: numbers in gauges.
 * @source opentelemetry-proto v1 metrics.proto, common.proto, resource.proto, collector metrics_service.proto */
const AnyValue = message({ stringValue: str(1) });
const KeyValue = message({ key: str(1), value: one(2, AnyValue) });
const Resource = message({ attributes: many(1, KeyValue) });
const Scope = message({ name: str(1) });
const NumberDataPoint = message({ timeUnixNano: fixed64(3), asDouble: double(4) });
const Gauge = message({ dataPoints: many(1, NumberDataPoint) });
const Metric = message({ name: str(1), gauge: one(5, Gauge) });
const ScopeMetrics = message({ scope: one(1, Scope), metrics: many(2, Metric) });
const ResourceMetrics = message({ resource: one(1, Resource), scopeMetrics: many(2, ScopeMetrics) });
const ExportRequest = message({ resourceMetrics: many(1, ResourceMetrics) });
const PartialSuccess = message({ rejected: int64(1), errorMessage: str(2) });
const ExportResponse = message({ partialSuccess: one(1, PartialSuccess) });

const DEFAULT_PATH = '/v1/metrics';

/** OpenTelemetry metrics over HTTP, in protobuf: a gauge for each property, named like it; a resource for each device.
 * @source KubeEdge mapper-framework data/publish/otel client.go, handler.go */
export class OtelChannel implements Channel {
  private readonly poster: Poster;
  private readonly path: string;
  private readonly headers: Readonly<Record<string, string>>;

  constructor({ url }: Extract<Target, { method: 'otel' }>, { credentials }: ChannelDeps) {
    this.poster = new Poster(url, { ca: credentials.ca });
    const { pathname, search } = this.poster.url;
    this.path = `${pathname === '/' ? DEFAULT_PATH : pathname}${search}`;
    this.headers = {
      'content-type': 'application/x-protobuf',
      ...(credentials.token ? { authorization: `Bearer ${credentials.token}` } : {}),
    };
  }

  async send(samples: readonly Sample[], notes: Notes): Promise<void> {
    const body = await this.poster.post(this.path, this.headers, encodeMetrics(samples));
    const { rejected = 0, errorMessage = '' } = partialSuccess(body) ?? {};
    // The protocol forbids to send them again.
    if (rejected > 0) notes.rejected(rejected, errorMessage);
  }

  close(): void {
    this.poster.close();
  }
}

/** The number that a value is: true and false are 1 and 0; undefined for a text. */
export function numberOf(value: string): number | undefined {
  if (value === 'true') return 1;
  if (value === 'false') return 0;
  const number = Number(value);
  return value.trim() === '' || Number.isNaN(number) ? undefined : number;
}

/** An ExportMetricsServiceRequest. */
export function encodeMetrics(samples: readonly Sample[]): Buffer {
  const devices = groupBy(samples, ({ route }) => `${route.namespace}/${route.device}`);
  const resourceMetrics = [...devices].map(([id, own]) => ({
    resource: { attributes: [attribute('service.name', 'edgecore'), attribute('device.id', id)] },
    scopeMetrics: [{ scope: { name: 'edgecore' }, metrics: metricsOf(own) }],
  }));
  return encode(ExportRequest, { resourceMetrics });
}

function metricsOf(samples: readonly Sample[]) {
  return [...groupBy(samples, ({ route }) => route.property)].map(([name, own]) => ({
    name,
    gauge: {
      dataPoints: own.map(({ at, value }) => ({
        timeUnixNano: BigInt(Math.round(at)) * 1_000_000n,
        asDouble: numberOf(value) ?? Number.NaN,
      })),
    },
  }));
}

function attribute(key: string, stringValue: string) {
  return { key, value: { stringValue } };
}

/** An answer that is no protobuf says nothing. */
function partialSuccess(body: Buffer) {
  try {
    return decode(ExportResponse, body).partialSuccess;
  } catch {
    return undefined;
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
