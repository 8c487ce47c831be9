import type { JsonObject } from '../json.ts';
import { apiVersionOf } from '../kinds/resource.ts';
import type { User } from './authentication.ts';
import type { ResourcePath } from './request.ts';

/** A question that is answered and not kept. */
export type Review = {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
};

const VERSION = 'v1';
const AUTHENTICATION = 'authentication.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';

/** @source Kubernetes API reference, Authentication and Authorization resources */
export const reviews: readonly Review[] = [
  { group: AUTHENTICATION, kind: 'SelfSubjectReview', plural: 'selfsubjectreviews', namespaced: false },
  { group: AUTHENTICATION, kind: 'TokenReview', plural: 'tokenreviews', namespaced: false },
  {
    group: AUTHORIZATION,
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    namespaced: true,
  },
  {
    group: AUTHORIZATION,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    namespaced: false,
  },
  {
    group: AUTHORIZATION,
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    namespaced: false,
  },
  { group: AUTHORIZATION, kind: 'SubjectAccessReview', plural: 'subjectaccessreviews', namespaced: false },
];

/** The groups that hold nothing but reviews. */
export const reviewGroups: readonly string[] = [AUTHENTICATION, AUTHORIZATION];

/** The review that a path asks for. */
export function reviewAt({ group, version, plural, name }: ResourcePath): Review | undefined {
  if (version !== VERSION || name) return undefined;
  return reviews.find((review) => review.group === group && review.plural === plural);
}

/** The answer to a review: whoever is known may do everything. @param token answers a TokenReview */
export function answerReview(
  { group, kind }: Review,
  body: JsonObject,
  user: User,
  token: (review: JsonObject) => JsonObject,
): JsonObject {
  if (kind === 'TokenReview') return token(body);
  return {
    metadata: {},
    ...body,
    apiVersion: apiVersionOf(group, VERSION),
    kind,
    status: statusOf(kind, user),
  };
}

function statusOf(kind: string, { name, groups }: User): JsonObject {
  switch (kind) {
    case 'SelfSubjectReview':
      return { userInfo: { username: name, groups: [...groups] } };
    case 'SelfSubjectRulesReview':
      return {
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      };
    default:
      return { allowed: true };
  }
}
