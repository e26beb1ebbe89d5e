import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { quorumOf } from '../../../protocol/quorum.ts'
import type { FaultRow } from './rows.ts'

const PANEL = { width: 300, height: 190, left: 76, top: 110, gapX: 70, gapY: 90 }
const LEGEND_HEIGHT = 30
const TITLE_ABOVE = 34
const HEADING =
  'solid: runs in which all was answered in time and nothing broke; dotted: runs in which nothing broke'
const FONT_SIZE = 12
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond']

/** What a panel shows of a row; null: there is no such figure. */
type Figure = { readonly name: string; readonly max?: number; readonly of: (row: FaultRow) => number | null }

const RUNS: Figure = { name: 'runs (%)', max: 100, of: (row) => row.successPercent }
const LATENCY: Figure = { name: 'mean latency (ms)', of: (row) => row.meanMs }

type Panel = { readonly figure: Figure; readonly title: string; readonly rows: readonly FaultRow[] }

/**
 * Small multiples: a line of panels per share of lost datagrams, two panels per attack: runs that succeeded (solid) and
 * that broke nothing (dotted), and latency; each over the number of malicious replicas, one line per n.
 * @returns an SVG document
 */
export function plotOf(rows: readonly FaultRow[]): string {
  use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])
  const panels = linesOf(rows)
  const columns = Math.max(0, ...panels.map((line) => line.length))
  const width = PANEL.left + columns * (PANEL.width + PANEL.gapX)
  const height = PANEL.top + panels.length * (PANEL.height + PANEL.gapY) + LEGEND_HEIGHT
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  const placed = panels.flatMap((line, y) => line.map((panel, x) => ({ panel, at: placeOf(x, y) })))
  const sizes = [...new Set(rows.map(({ replicas }) => replicas))].sort((a, b) => a - b)
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontSize: FONT_SIZE },
    legend: { bottom: 10, itemGap: 40, data: sizes.map((n) => nameOf(n)) },
    title: [
      titleAt(HEADING, { left: PANEL.left, top: 20 }),
      ...placed.map(({ panel, at }) => titleAt(panel.title, { left: at.left, top: at.top - TITLE_ABOVE })),
    ],
    grid: placed.map(({ at }) => at),
    xAxis: placed.map((_, gridIndex) => ({
      gridIndex,
      type: 'value',
      name: 'malicious replicas',
      nameLocation: 'middle',
      nameGap: 24,
      interval: 1,
      min: 0,
      max: Math.max(1, ...rows.map(({ malicious }) => malicious)),
    })),
    yAxis: placed.map(({ panel: { figure } }, gridIndex) => ({
      gridIndex,
      type: 'value',
      name: figure.name,
      nameLocation: 'middle',
      nameGap: 50,
      min: 0,
      ...(figure.max === undefined ? {} : { max: figure.max }),
    })),
    series: placed.flatMap(({ panel }, index) => sizes.flatMap((n, i) => seriesOf(panel, { n, i, index }))),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/** By share of lost datagrams, then by attack. */
function linesOf(rows: readonly FaultRow[]): Panel[][] {
  const lines = Map.groupBy(rows, ({ drop }) => drop)
  return [...lines].map(([drop, line]) =>
    [...Map.groupBy(line, ({ byzantine }) => byzantine)].flatMap(([byzantine, attacked]) =>
      [RUNS, LATENCY].map((figure) => ({
        figure,
        title: `${byzantine}, drop ${drop}`,
        rows: attacked,
      })),
    ),
  )
}

const placeOf = (x: number, y: number) => ({
  left: PANEL.left + x * (PANEL.width + PANEL.gapX),
  top: PANEL.top + y * (PANEL.height + PANEL.gapY),
  width: PANEL.width,
  height: PANEL.height,
})

const titleAt = (text: string, at: { readonly left: number; readonly top: number }) => ({
  text,
  ...at,
  padding: 0,
  textStyle: { fontSize: FONT_SIZE, fontWeight: 'normal' as const },
})

const nameOf = (replicas: number): string => `n = ${replicas}, f = ${quorumOf(replicas).f}`

function seriesOf(
  { figure, rows }: Panel,
  { n, i, index }: { readonly n: number; readonly i: number; readonly index: number },
): object[] {
  const own = rows.filter(({ replicas }) => replicas === n)
  const line = (of: Figure['of']) => ({
    type: 'line',
    name: nameOf(n),
    xAxisIndex: index,
    yAxisIndex: index,
    symbol: SYMBOLS[i % SYMBOLS.length],
    symbolSize: 7,
    data: own.map((row) => [row.malicious, of(row)]),
  })
  const solid = line(figure.of)
  if (figure !== RUNS) return [solid]
  const dotted = { ...line((row) => row.safePercent), lineStyle: { type: 'dotted' } }
  return [solid, dotted]
}
