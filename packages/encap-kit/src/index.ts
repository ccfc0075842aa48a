export { type SentPacket, TestBench } from '@lbd/graph/testing';
export { LbBench, type LbBenchOptions } from '@lbd/lb/testing';
export * from '@lbd/packet';
export { Bed, type Delivered, type Target } from './bed.ts';
export { checkCarried } from './carried.ts';
export { type Check, type ConformanceOptions, conformanceChecks } from './checks.ts';
export { conformance } from './conformance.ts';
export { Finding } from './findings.ts';
export { type Flow, ipLayer, type Shape, shapesFor, tcpPacket } from './shapes.ts';
