import { type Millis, seconds } from '../core/units.ts';
import { criMethods } from './cri-messages.ts';
import { GrpcClient } from './grpc-client.ts';
import { decode, encode, type In, type Out } from './protobuf.ts';

type Methods = typeof criMethods;

/** Every call of the CRI that is used, typed by its table. */
export type CriCall = <M extends keyof Methods>(
  method: M,
  request: In<Methods[M]['request']>,
  timeout?: Millis,
) => Promise<Out<Methods[M]['response']>>;

/** A container runtime. */
export interface Cri {
  /** Where it listens, for messages to the operator. */
  readonly endpoint: string;
  /** @throws GrpcError */
  readonly call: CriCall;
  close(): void;
}

const DEFAULT_TIMEOUT = seconds(30);

/** Connects to a container runtime when first called.
 * @param endpoint `unix:///path` */
export function connectCri(endpoint: string): Cri {
  const client = new GrpcClient(endpoint.replace(/^unix:\/\//, ''));
  const call: CriCall = async (method, request, timeout = DEFAULT_TIMEOUT) => {
    const { path, request: input, response } = criMethods[method];
    const bytes = await client.call(`/runtime.v1.${path}`, encode(input, request as never), timeout);
    return decode(response, bytes) as never;
  };
  return { endpoint, call, close: () => client.close() };
}
